#pragma once

// Off the straight way of an established connection's packet: kept out of it, so that the rest
// inlines into one loop (`Worker::receive` is flattened).
#define SLUICE_ASIDE [[gnu::noinline]]

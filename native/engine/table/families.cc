// Both families' tables are built, so that IPv6's stay ready while only IPv4's modes use them.
#include "connection_table.h"
#include "timing_wheel.h"

namespace sluice {

template class ConnectionTable<V4>;
template class ConnectionTable<V6>;
template class TimingWheel<ConnectionTable<V6>>;

}  // namespace sluice

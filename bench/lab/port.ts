/** How a contestant takes its frames: by a DPDK driver, or as the kernel it is part of does. */
export type Driver = 'af_packet' | 'af_xdp';
export type Port = Driver | 'kernel';

/** The benchmarks are a program apart from the director, with codes of their own. */
export class BenchError extends Error {
  constructor(
    readonly code:
      | 'ERR_BENCH_ARGUMENT'
      | 'ERR_BENCH_VOID'
      | 'ERR_BENCH_NATIVE'
      | 'ERR_BENCH_FONT'
      | 'ERR_BENCH_LAB',
    message: string,
  ) {
    super(message);
  }
}

/** CPU time of the thread that runs JavaScript: what others wait for, however busy the machine is. Needs glibc. */

const CLOCK_THREAD_CPUTIME_ID = 3;

const libc = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});
const time = new BigInt64Array(2);
const bytes = new Uint8Array(time.buffer);

/** In ms. The kernel's files of a thread count in ticks of 4 ms while it runs. */
export function threadMs(): number {
  libc.symbols.clock_gettime(CLOCK_THREAD_CPUTIME_ID, bytes);
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}

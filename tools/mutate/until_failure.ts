/** Makes the tests that follow a failed one do nothing: that one says enough of a change, and others may wait for long. */

type Run = (t: Deno.TestContext) => void | Promise<void>;

let hasFailed = false;

function untilFailure(run: Run): Run {
  const wrapped: Run = async (t) => {
    if (hasFailed) return;
    try {
      await run(t);
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  return Object.defineProperty(wrapped, "name", { value: run.name });
}

const { test } = Deno;
/** Its arguments are a name, options and what is run, in this order, or some of them; what is run may be an option. */
const wrapped = (...args: unknown[]): void => {
  const all = args.map((arg) => {
    if (typeof arg === "function") return untilFailure(arg as Run);
    if (typeof arg !== "object" || arg === null || !("fn" in arg)) return arg;
    return { ...arg, fn: untilFailure(arg.fn as Run) };
  });
  test(...all as Parameters<typeof test>);
};
Object.assign(Deno, { test: Object.assign(wrapped, test) });

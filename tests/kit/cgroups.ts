/** Control groups that tests make in this kernel. */
import { until } from "./waiting.ts";

/** Removes a group whose processes have ended: for a moment after that the kernel calls it busy. */
export async function removeCgroup(path: string): Promise<void> {
  await until(() => {
    try {
      Deno.removeSync(path);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === "EBUSY") return false;
      throw error;
    }
  });
}

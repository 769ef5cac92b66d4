/** Which job of OAR a control group is. */

export interface OarJob {
  readonly id: bigint;
  /** Who runs it, by name (OAR 2) or by number (OAR 3). */
  readonly user: string | number;
  /** Whether the group is that of the job itself; otherwise it is below it. */
  readonly isItself: boolean;
}

/** `/oar/toto_42`: the name of a user may contain `_`, the number of the job is the last part. */
const OAR2 = /(?:^|\/)oar\/([^/]+)_(\d{1,18})(?=\/|$)(.*)$/;
/** `/oar.slice/oar-u1000.slice/oar-u1000-j42`. */
const OAR3 = /(?:^|\/)oar\.slice\/(?:[^/]+\/)+oar-u(\d{1,10})-j(\d{1,18})(?:\.slice|\.scope)?(?=\/|$)(.*)$/;

/** `undefined` where the path is not in a job. */
export function oarJobOf(path: string): OarJob | undefined {
  const oar2 = OAR2.exec(path);
  if (oar2) return { user: oar2[1], id: BigInt(oar2[2]), isItself: oar2[3] === "" };
  const oar3 = OAR3.exec(path);
  return oar3 ? { user: Number(oar3[1]), id: BigInt(oar3[2]), isItself: oar3[3] === "" } : undefined;
}

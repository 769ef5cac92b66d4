/** Positions that outputs keep beside their files. */
import { type Position, PositionFile } from "../../lib/outputs/files/position.ts";

export function positionOf(number: number, files = 1): Position {
  return {
    journal: "0123456789abcdef0123456789abcdef",
    position: number,
    clean: false,
    files: Array.from({ length: files }, (_, i) => ({
      path: `measures of a client with a long name ${i}.csv`,
      inode: 1000 + i,
      born: number,
      size: number,
    })),
  };
}

export async function readPosition(path: string): Promise<Position | null> {
  const file = await PositionFile.open(path);
  file.close();
  return file.latest;
}

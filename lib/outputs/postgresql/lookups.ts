/** Questions of the server, what the database has of a client: gathered, and answered together between transactions. */
import { Timer } from "../../base/timers.ts";
import type { ClientIdentity } from "../../points/origins.ts";

/** The longest that a question waits, in ms. */
const PATIENCE_MS = 4000;
/** Questions that wait; further ones are answered with 0, as if nothing were known. */
const MOST_QUESTIONS = 10_000;
/** That are answered by one query. */
const TOGETHER = 500;

interface Question {
  readonly client: ClientIdentity;
  readonly answer: (sequence: number) => void;
}

export class Lookups implements Disposable {
  #questions: Question[] = [];
  readonly #onQuestion: () => void;
  #closed = false;

  /** @param onQuestion Told when there is a question. */
  constructor(onQuestion: () => void) {
    this.#onQuestion = onQuestion;
  }

  get waiting(): boolean {
    return this.#questions.length > 0;
  }

  /** The last batch of a client that the database has; 0 where that is not known in time. */
  readonly ask = (client: ClientIdentity): Promise<number> => {
    if (this.#closed || this.#questions.length >= MOST_QUESTIONS) return Promise.resolve(0);
    return new Promise((resolve) => {
      const timer = Timer.after(PATIENCE_MS, () => {
        this.#questions = this.#questions.filter((other) => other !== question);
        resolve(0);
      });
      const question = {
        client,
        answer: (sequence: number) => {
          timer[Symbol.dispose]();
          resolve(sequence);
        },
      };
      this.#questions.push(question);
      this.#onQuestion();
    });
  };

  /** Answers what has been asked. @throws what `read` does; the questions wait on then. */
  async serve(read: (clients: readonly ClientIdentity[]) => Promise<number[]>): Promise<void> {
    while (this.#questions.length > 0) {
      const questions = this.#questions.slice(0, TOGETHER);
      const answers = await read(questions.map(({ client }) => client));
      questions.forEach(({ answer }, i) => answer(answers[i]));
      this.#questions = this.#questions.filter((question) => !questions.includes(question));
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { answer } of this.#questions.splice(0)) answer(0);
  }
}

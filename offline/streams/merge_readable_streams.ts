/** One stream with the chunks of all, as they come. Ends when all have ended; fails when the first one fails. */
export function mergeReadableStreams<T>(...streams: ReadableStream<T>[]): ReadableStream<T> {
  let failed = false;
  return new ReadableStream<T>({
    start(controller) {
      const forward = async (stream: ReadableStream<T>) => {
        for await (const chunk of stream) {
          if (failed) return;
          controller.enqueue(chunk);
        }
      };
      Promise.all(streams.map(forward)).then(() => controller.close(), (error) => {
        failed = true;
        controller.error(error);
      });
    },
  });
}

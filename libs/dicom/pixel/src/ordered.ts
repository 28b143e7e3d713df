/**
 * Maps with up to `width` calls in flight and gives the results in order: the only look-ahead is `width` items.
 * When the consumer stops or a call fails, what is still in flight is let go without an unhandled rejection.
 */
export async function* mapInOrder<T, R>(
  source: AsyncIterable<T>,
  width: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const flight: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const started = map(item);
      started.catch(() => undefined);
      flight.push(started);
      if (flight.length >= width) yield await flight.shift()!;
    }
    while (flight.length > 0) yield await flight.shift()!;
  } finally {
    await Promise.allSettled(flight);
  }
}

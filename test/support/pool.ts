/** Several at a time. */

/** `work` on each of `items`, at most `width` under way; rejects with the first failure. */
export async function several<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of left) await work(item)
    }),
  )
}

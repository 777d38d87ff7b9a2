/**
 * What is in force, as evidence: the policy documents and who may do what, by name. Recorded at each start and whenever
 * something of it changes, so that an auditor sees what decided, not what the files say today.
 */
import { sha256Hex } from './digest.ts'

/** Texts by path. */
export type Documents = Readonly<Record<string, string>>

/** Characters of one document that a record takes; of a longer one it has the digest. */
const MOST_EACH = 512 * 1024
/** Of all of them. */
const MOST = 4 * 1024 * 1024

/** The documents as a record takes them. */
export async function recordable(documents: Documents): Promise<Documents> {
  let room = MOST
  const kept: [string, string][] = []
  for (const [path, text] of Object.entries(documents)) {
    const fits = text.length <= Math.min(MOST_EACH, room)
    if (fits) room -= text.length
    kept.push([path, fits ? text : `(too long to be recorded; sha256 ${await sha256Hex(text)})`])
  }
  return Object.fromEntries(kept)
}

/** Whether the two say the same. */
export function sameDocuments(a: Documents, b: Documents): boolean {
  const paths = Object.keys(a)
  return paths.length === Object.keys(b).length && paths.every((path) => Object.hasOwn(b, path) && a[path] === b[path])
}

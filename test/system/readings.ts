/** A text as someone would read it who looks for secrets of the sandbox's seed: as it is, reversed, decoded. */

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
/** A hash of a mask or of a policy. */
const HASH = /\b[0-9a-f]{64}\b/g

export function readingsOf(raw: string): string[] {
  const text = raw.replaceAll(UUID, '').replaceAll(HASH, '')
  const decoded: string[] = []
  for (const [run] of text.matchAll(/(?:[0-9a-fA-F]{2}){4,}/g)) decoded.push(Buffer.from(run, 'hex').toString('latin1'))
  for (const [run] of text.matchAll(/[A-Za-z0-9+/]{8,}={0,2}/g))
    decoded.push(Buffer.from(run, 'base64').toString('latin1'))
  for (const [run] of text.matchAll(/\d{2,3}(?:[",\s\\]+\d{2,3}){3,}/g)) {
    decoded.push(String.fromCharCode(...run.split(/[",\s\\]+/).map(Number)))
  }
  return [text, ...decoded].flatMap((reading) => [reading, reversed(reading)])
}

/** Whole values of the shapes that secrets have. */
const SHAPES = [
  /(?<![\d-])\d{3}-\d{2}-\d{4}(?!\d)/g,
  /\+1-\d{3}-\d{3}-\d{4}/g,
  /[a-z]+\.\d+@[a-z]+\.(?:com|org|example)/g,
  /@handle\d+/g,
  /\d+ [A-Z][a-z']+s? Street/g,
  /4111\d{12}/g,
  /(?<!\d)\d{4}-\d{2}-\d{2}(?![\dT ])/g,
]

/** Ends of secrets, four characters and more, that no other column of the seed has. */
const PIECES = [
  /(?<![\w-])\d{3}-\d(?![\d]{3})/g,
  /\+1-(?:202|303)-/g,
  /@(?:example|mail|shop|home)\.(?:com|org|example)/g,
  /\bprivate\.\d/g,
  /@handle/g,
  / Stre/g,
  /(?<!\d)4111\d{4}/g,
]

export function shapesIn(text: string): string[] {
  return [
    ...SHAPES.flatMap((shape) => [...text.matchAll(shape)].map(([found]) => found)),
    ...PIECES.flatMap((piece) => [...text.matchAll(piece)].map(([found]) => `piece:${found}`)),
  ]
}

export function reversed(text: string): string {
  return Array.from(text).toReversed().join('')
}

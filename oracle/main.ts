/** `npm run oracle -- corpus FILE | fuzz | columns | masks`: our reading of SQL beside ZetaSQL's. Wants `npm ci --prefix oracle` once. */
import { parseArgs } from 'node:util'
import { columns } from './columns.ts'
import { masks } from './masks.ts'
import { measure } from './corpus.ts'
import { fuzz } from './fuzz.ts'
import { ownSeeds, seedsOf } from './seeds.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mutants: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string' },
  },
})
const [name, file, ...more] = positionals
const [mutants, seed] = [Number(values.mutants), Number(values.seed)]

if (name === 'corpus' && file !== undefined && more.length === 0) {
  if (!(await measure(file))) process.exitCode = 1
} else if (
  name === 'fuzz' &&
  file === undefined &&
  Number.isInteger(mutants) &&
  mutants > 0 &&
  Number.isInteger(seed)
) {
  const seeds = [...ownSeeds(), ...(values.from === undefined ? [] : seedsOf(values.from))]
  if (!(await fuzz({ seeds, mutants, seed }))) process.exitCode = 1
} else if (
  name === 'columns' &&
  file === undefined &&
  Number.isInteger(mutants) &&
  mutants > 0 &&
  Number.isInteger(seed)
) {
  if (!(await columns({ texts: mutants, seed }))) process.exitCode = 1
} else if (
  name === 'masks' &&
  file === undefined &&
  Number.isInteger(mutants) &&
  mutants > 0 &&
  Number.isInteger(seed)
) {
  if (!(await masks({ texts: mutants, seed }))) process.exitCode = 1
} else {
  console.error('npm run oracle -- corpus FILE')
  console.error('npm run oracle -- fuzz [--mutants 200000] [--seed 1] [--from FILE]')
  console.error('npm run oracle -- columns [--mutants 200000] [--seed 1]')
  console.error('npm run oracle -- masks [--mutants 200000] [--seed 1]')
  process.exitCode = 1
}

/** Commands that make things for operators: schemas for editors, API keys. */
import { mkdir, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { jsonSchemas } from '../../config/schemas.ts'
import { newApiKey } from '../../identity/api-key.ts'
import type { Command } from './command.ts'

export const schemas: Command = {
  name: 'schemas',
  about: 'write the JSON Schemas for editors into schemas/',
  run: writeSchemas,
}

export const newKey: Command = {
  name: 'key new',
  about: 'make an API key: the key for its holder, its hash for the configuration',
  run: keyNew,
}

async function writeSchemas(): Promise<number> {
  await mkdir('schemas', { recursive: true })
  for (const [name, schema] of Object.entries(jsonSchemas())) {
    const path = resolve('schemas', name)
    await writeFile(path, `${JSON.stringify(schema, null, 2)}\n`)
    console.log(path)
  }
  return 0
}

async function keyNew(): Promise<number> {
  const { key, id, hash } = await newApiKey()
  console.error(
    'give the key to its holder; it is shown this once. The rest is an entry of the file that `apiKeys.file`',
  )
  console.error(
    'of sluice.yaml names, or of the list `apiKeys.list` there; put in its holder and the groups of policies:',
  )
  console.error(`  - { id: ${id}, hash: ${hash}, subject: NAME, groups: [GROUP] }`)
  console.log(key)
  return 0
}

import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { jsonSchemas } from '../../../src/config/schemas.ts'

test('the JSON Schemas for editors are those of the code, each and no other', () => {
  const committed = Object.fromEntries(
    readdirSync('schemas').map((file) => [file, JSON.parse(readFileSync(`schemas/${file}`, 'utf8')) as unknown]),
  )
  // When this fails: `npm run -s sluice -- schemas` writes them anew.
  expect(committed).toEqual(JSON.parse(JSON.stringify(jsonSchemas())))
})

test('they describe defaults as an operator writes them', () => {
  const schema = JSON.stringify(jsonSchemas()['sluice.schema.json'])
  expect(schema).toContain('"default":"10m"')
  expect(schema).toContain('"default":8080')
  expect(schema).not.toContain('600000')
})

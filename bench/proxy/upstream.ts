/** An API that answers as fast as Node can: `/small` 2 KB of JSON, `/large` 10 MB, `/endless?mb=N` N MB of lines. Prints its URL. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const person = (id: number) => ({
  id,
  name: 'Ada Lovelace',
  email: `ada.${id}@example.com`,
  ssn: '078-05-1120',
  phone: '+1-555-010-0199',
  address: { street: `${id} Elm Street`, city: 'Oslo', zip: '00150' },
  tags: ['first', 'of', 'her', 'kind'],
})
const people = (bytes: number): Buffer => {
  const one = JSON.stringify(person(1)).length + 1
  return Buffer.from(JSON.stringify({ items: Array.from({ length: Math.ceil(bytes / one) }, (_, id) => person(id)) }))
}
const small = people(2_000)
const large = people(10_000_000)
const line = Buffer.from(`${JSON.stringify(person(7))}\n`)
const megabyte = Buffer.concat(Array.from({ length: Math.ceil(1_048_576 / line.length) }, () => line))

const server = createServer((request, response) => {
  const body = request.url?.startsWith('/large') ? large : small
  if (!request.url?.startsWith('/endless')) {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
    return
  }
  let left = Number(new URL(request.url, 'http://x').searchParams.get('mb'))
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  const write = (): void => {
    while (left > 0) {
      left -= 1
      if (!response.write(megabyte)) return
    }
    response.end()
  }
  response.on('drain', write)
  write()
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))

/** What is not there, or not for whoever asks. */
import { Failure } from './failure.ts'

/** No connection of that name, or none that any policy opens to the principal. */
export function unknownConnection(name: string): Failure {
  return new Failure('connection-unknown', `no connection \`${name}\``, { fix: 'GET /v1/connections lists yours' })
}

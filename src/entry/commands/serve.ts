/** `sluice serve`. */
import { loadConfig, serve } from '../node.ts'
import { argumentsOf, type Command } from './command.ts'

export const serveUntilTold: Command = {
  name: 'serve',
  about: 'serve the configuration until told to stop',
  async run(args) {
    const { values } = argumentsOf(args, { 'with-parent': { type: 'boolean', default: false } })
    const starting = loadConfig(values.config).then(serve)
    // Heard from the first moment on: a signal that comes while the gateway starts is heeded once it has.
    process.on('SIGHUP', () => void starting.then((serving) => serving.reload()).catch(() => {}))
    const told = new Promise<void>((resolve) => {
      process.on('SIGTERM', () => resolve())
      process.on('SIGINT', () => resolve())
      if (values['with-parent']) process.stdin.on('end', resolve).on('error', resolve).resume()
    })
    const serving = await starting
    await told
    await serving.stop()
    process.exit(0)
  },
}

#!/usr/bin/env node
/** The installed command: looks at Node's version first, because an older one cannot even load the rest. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`sluice needs Node 22.19 or newer, and this is ${process.versions.node}`)
  process.exitCode = 1
} else {
  await import('./cli.ts')
}

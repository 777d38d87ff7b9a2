/** The short form of `npm run torture`: nothing that was acknowledged is lost or doubled, whatever breaks meanwhile. */
import { expect, it } from 'vitest'
import { torture } from '../torture/torture.ts'

it('loses nothing and doubles nothing over kills, full and failing disks and a wire that breaks, and verifies', async () => {
  const report = await torture({ exchanges: 2_000, kills: 4, clients: 16, seed: 7 })
  const { lost, doubled, gaps, verified } = report
  expect({ lost, doubled, gaps, verified: verified.code, said: verified.said.trimEnd().split('\n').at(-1) }).toEqual({
    lost: [],
    doubled: 0,
    gaps: 0,
    verified: 0,
    said: 'verified',
  })
  expect(report.acknowledged).toBeGreaterThanOrEqual(2_000)
  expect(report.kills.gateway + report.kills.clickhouse).toBeGreaterThanOrEqual(4)
}, 120_000)

import { defineConfig } from 'vitest/config'

const common = { testTimeout: 60_000, hookTimeout: 120_000, pool: 'forks' as const }

/**
 * `unit` needs nothing but this process; `sandbox` starts the parts it tests; `system` runs the whole gateway over one
 * sandbox that its global setup starts.
 */
export default defineConfig({
  test: {
    // Two cores are the smallest machine that CI has.
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/*.test.ts', 'test/{src,plugins,routes}/**/*.test.ts'],
        },
      },
      { test: { ...common, name: 'sandbox', include: ['test/sandbox/**/*.test.ts'] } },
      {
        test: {
          ...common,
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          globalSetup: ['test/support/sandbox.setup.ts'],
        },
      },
    ],
  },
})

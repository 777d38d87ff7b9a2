/** The plugins that are installed. Deleting a folder and its line here uninstalls it. */
import type { Plugin } from '../src/plugin.ts'
import { limits } from './limits/index.ts'
import { maskColumns } from './mask-columns/index.ts'
import { maskJson } from './mask-json/index.ts'
import { maskPatterns } from './mask-patterns/index.ts'
import { recordBodies } from './record-bodies/index.ts'
import { sqlRisk } from './sql-risk/index.ts'

export const plugins: readonly Plugin[] = [sqlRisk, maskColumns, maskJson, maskPatterns, limits, recordBodies]

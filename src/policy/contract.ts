/** What the gateway asks of the policies in force. */
import type { Decision, Deny, Inspected, PolicyDigest, Principal, ResourceUse } from '../exchange.ts'

/** A question about names alone, asked before the catalog or the warehouse is. */
export interface Named {
  readonly principal: Principal
  readonly connection: string
  readonly kind: string
  readonly uses: readonly ResourceUse[]
}

/** One loaded, validated set of policy documents. Immutable: a reload makes another. */
export interface PolicySet {
  readonly digest: PolicyDigest
  /** Pure and synchronous. deny > hold > permit; a use that no rule permits is a deny; an error in a condition denies. */
  decide(exchange: Inspected): Decision
  /** The denial that these names meet whatever the facts will be, if there is one. */
  denyByName(named: Named): Deny | undefined
  /** Options per plugin name for this principal on this connection, parsed when the set was loaded. */
  pluginOptions(principal: Principal, connection: string): ReadonlyMap<string, PluginOptions>
  /** The options of every document, so that a plugin is made for each before the set is in force. */
  readonly configured: readonly { readonly plugin: string; readonly options: PluginOptions }[]
  /** Whether any document applies to this principal on this connection. */
  reaches(principal: Principal, connection: string): boolean
}

/** Parsed options with a key that is equal for equal options, so that instances can be shared. */
export interface PluginOptions {
  readonly key: string
  readonly options: unknown
}

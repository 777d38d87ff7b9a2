/** What policy documents may name: the facts, options and obligations that the installed plugins provide. */

export type FactType = 'number' | 'boolean' | 'string' | 'list'

/** Variable → field → type, as a plugin declares them: `{ risk: { score: 'number' } }`. */
export type FactTypes = Readonly<Record<string, Readonly<Record<string, FactType>>>>

export interface Vocabulary {
  readonly plugins: Readonly<Record<string, PluginVocabulary>>
  /** By obligation name: what checks a rule's terms, and throws with words for the operator; whether it guards (see
   * `Fulfilment.guards`). */
  readonly obligations: Readonly<Record<string, ObligationVocabulary>>
  /** Schemas of the answers of an API's operations, where all are known. */
  answersOf?(connection: string, isMeant: (resource: string) => boolean): Answers | undefined
  /** The configured connections and issuers. Where given, a document that names another is refused: a deny with a slip in
   * its connection would never apply, and nobody would notice. */
  readonly connections?: readonly string[]
  readonly issuers?: readonly string[]
}

export interface ObligationVocabulary {
  parse(input: unknown): unknown
  readonly guards?: boolean
  /** See `Fulfilment.misfits`. */
  readonly misfits?: (term: unknown, answers: Answers) => readonly string[]
}

/** JSON Schemas of answers, and what a `$ref` in them points to. */
export interface Answers {
  readonly schemas: readonly unknown[]
  readonly resolve: (ref: string) => unknown
}

export interface PluginVocabulary {
  /** Checks a document's options for this plugin, and throws with words for the operator. */
  readonly options: { parse(input: unknown): unknown }
  readonly facts?: FactTypes
}

/** Masked values as GoogleSQL expressions, by type and strategy. The README has the table. */
import type { ScalarType, SqlType } from '../../src/plugin.ts'
import { strongest, type Mask } from '../../src/statement/strategy.ts'

/** The masks of one column or field: its own, which covers all below it, and those of its fields and JSON paths. */
export interface MaskNode {
  own?: Mask
  /** By lower-case name. */
  readonly fields: Map<string, MaskNode>
  /** By JSON path: `$.card`. */
  readonly json: Map<string, Mask>
}

export function maskNode(): MaskNode {
  return { fields: new Map(), json: new Map() }
}

/** Names that the written SQL needs. */
export interface Scope {
  /** A name for a table alias that no column or field has. Another at each call. */
  alias(base: string): string
  /** The parameters that hold the padded key: `@sluice_k1_ipad`. */
  pads(key: string): { readonly inner: string; readonly outer: string }
}

/** A name in backticks. */
export function quote(name: string): string {
  return `\`${name.replaceAll(/[\\`]/g, String.raw`\$&`)}\``
}

/** A type in a reader's words, and in a CAST where it is no struct. */
function typeWords(type: SqlType): string {
  return type.kind === 'RANGE' ? `RANGE<${typeWords(type.of)}>` : type.kind
}

/** Why a type cannot be masked so, in words; `undefined` where every masked part of it can. */
export function misfit(type: SqlType, node: MaskNode, inherited?: Mask): string | undefined {
  const mask = combined(node.own, inherited)
  if (mask?.strategy === 'null') return undefined
  switch (type.kind) {
    case 'ARRAY':
      return misfit(type.of, elementNode(node), mask)
    case 'STRUCT':
      for (const field of type.fields) {
        const problem = misfit(field.type, node.fields.get(field.name.toLowerCase()) ?? maskNode(), mask)
        if (problem !== undefined) return problem
      }
      return undefined
    default:
      if (mask !== undefined) return fits(mask, type) ? undefined : `${mask.strategy} does not fit ${typeWords(type)}`
      if (node.json.size > 0 && type.kind !== 'JSON') return `a JSON path does not fit ${typeWords(type)}`
      return [...node.json.values()].some((m) => m.strategy === 'truncate') ? 'truncate does not fit JSON' : undefined
  }
}

const TRUNCATED: Partial<Record<SqlType['kind'], 'to' | 'step'>> = {
  DATE: 'to',
  DATETIME: 'to',
  TIMESTAMP: 'to',
  INT64: 'step',
  NUMERIC: 'step',
  BIGNUMERIC: 'step',
  FLOAT64: 'step',
}

function fits(mask: Mask, { kind }: SqlType): boolean {
  switch (mask.strategy) {
    case 'null':
    case 'redact':
      return true
    case 'hash':
      return kind === 'STRING' || kind === 'BYTES' || kind === 'INT64' || kind === 'JSON'
    case 'partial':
      return kind === 'STRING'
    case 'truncate':
      return TRUNCATED[kind] === ('to' in mask ? 'to' : 'step')
  }
}

function combined(a: Mask | undefined, b: Mask | undefined): Mask | undefined {
  return a === undefined ? b : b === undefined ? a : strongest(a, b)
}

/**
 * The masked value of `sql`, which is of `type`, as an expression of the same type; `undefined` where nothing in it is
 * masked. `misfit` MUST have found nothing.
 */
export function masked(type: SqlType, sql: string, node: MaskNode, scope: Scope, inherited?: Mask): string | undefined {
  const mask = combined(node.own, inherited)
  if (mask === undefined && node.fields.size === 0 && node.json.size === 0) return undefined
  if (mask?.strategy === 'null') return nothing(type, sql)
  switch (type.kind) {
    case 'STRUCT': {
      const replaced = structItems(type.fields, sql, node, scope, mask)
      return replaced === '' ? undefined : `IF(${sql} IS NULL, NULL, (SELECT AS STRUCT ${sql}.* ${replaced}))`
    }
    case 'ARRAY':
      return maskedArray(type, sql, node, scope, mask)
    default:
      if (mask !== undefined) return scalar(mask, type, sql, scope)
      return type.kind === 'JSON' && node.json.size > 0 ? maskedJson(sql, node.json, scope) : undefined
  }
}

/** The masks of an array's elements: those of the array, its own handed down. */
function elementNode({ fields, json }: MaskNode): MaskNode {
  return { fields, json }
}

/** `REPLACE (… AS field, …)`; empty where no field is masked. */
function structItems(
  fields: readonly { readonly name: string; readonly type: SqlType }[],
  sql: string,
  node: MaskNode,
  scope: Scope,
  mask: Mask | undefined,
): string {
  const items = fields.flatMap((field) => {
    const child = node.fields.get(field.name.toLowerCase()) ?? maskNode()
    const expression = masked(field.type, `${sql}.${quote(field.name)}`, child, scope, mask)
    return expression === undefined ? [] : [`${expression} AS ${quote(field.name)}`]
  })
  return items.length === 0 ? '' : `REPLACE (${items.join(', ')})`
}

function maskedArray(
  type: Extract<SqlType, { kind: 'ARRAY' }>,
  sql: string,
  node: MaskNode,
  scope: Scope,
  mask: Mask | undefined,
): string | undefined {
  // BigQuery refuses a NULL among the elements of an answered array, so the array goes as a whole.
  if (mask !== undefined && redactsToNull(mask, type.of)) return nothing(type, sql)
  const element = scope.alias('e')
  const offset = scope.alias('o')
  const item = arrayItem(type.of, element, node, scope, mask)
  if (item === undefined) return undefined
  const rows = `FROM UNNEST(${sql}) AS ${element} WITH OFFSET AS ${offset} ORDER BY ${offset}`
  return `IF(${sql} IS NULL, NULL, ARRAY(SELECT ${item} ${rows}))`
}

function arrayItem(
  type: SqlType,
  element: string,
  node: MaskNode,
  scope: Scope,
  mask: Mask | undefined,
): string | undefined {
  if (type.kind !== 'STRUCT') return masked(type, element, elementNode(node), scope, mask)
  const replaced = structItems(type.fields, element, node, scope, mask)
  return replaced === '' ? undefined : `AS STRUCT ${element}.* ${replaced}`
}

function redactsToNull(mask: Mask, type: SqlType): boolean {
  return mask.strategy === 'redact' && type.kind !== 'STRUCT' && constant(type) === undefined
}

/** NULL of the type. A struct's field names may be reserved words, so its type is taken from the value, unread. */
function nothing(type: SqlType, sql: string): string {
  return type.kind === 'STRUCT' || type.kind === 'ARRAY'
    ? `IF(FALSE, ${sql}, NULL)`
    : `CAST(NULL AS ${typeWords(type)})`
}

const CONSTANTS: Partial<Record<ScalarType, string>> = {
  STRING: "'[redacted]'",
  BYTES: "b''",
  BOOL: 'FALSE',
  INT64: '0',
  FLOAT64: 'CAST(0 AS FLOAT64)',
  NUMERIC: 'CAST(0 AS NUMERIC)',
  BIGNUMERIC: 'CAST(0 AS BIGNUMERIC)',
  DATE: "DATE '1970-01-01'",
  TIME: "TIME '00:00:00'",
  DATETIME: "DATETIME '1970-01-01 00:00:00'",
  TIMESTAMP: "TIMESTAMP '1970-01-01 00:00:00+00'",
  JSON: "TO_JSON('[redacted]')",
}

function constant(type: SqlType): string | undefined {
  return type.kind === 'ARRAY' || type.kind === 'STRUCT' || type.kind === 'RANGE' ? undefined : CONSTANTS[type.kind]
}

function scalar(mask: Mask, type: SqlType, sql: string, scope: Scope): string {
  const present = (expression: string): string => `IF(${sql} IS NULL, NULL, ${expression})`
  switch (mask.strategy) {
    case 'null':
      return nothing(type, sql)
    case 'redact': {
      const value = constant(type)
      return value === undefined ? nothing(type, sql) : present(value)
    }
    case 'hash':
      return present(hashed(type, sql, scope.pads(mask.key)))
    case 'partial':
      return present(partial(mask, sql))
    case 'truncate':
      return 'to' in mask ? `${type.kind}_TRUNC(${sql}, ${mask.to})` : stepped(mask.step, type, sql)
  }
}

/** HMAC-SHA256 (RFC 2104) with the key's two padded blocks as parameters: the key is in no text. */
function hmac(bytes: string, { inner, outer }: { readonly inner: string; readonly outer: string }): string {
  return `SHA256(CONCAT(${outer}, SHA256(CONCAT(${inner}, ${bytes}))))`
}

function hashed(type: SqlType, sql: string, pads: { readonly inner: string; readonly outer: string }): string {
  switch (type.kind) {
    case 'BYTES':
      return hmac(sql, pads)
    case 'INT64':
      // 15 hex digits: the most that is never negative, so that no cast can overflow.
      return `CAST(CONCAT('0x', SUBSTR(TO_HEX(${hmac(`CAST(CAST(${sql} AS STRING) AS BYTES)`, pads)}), 1, 15)) AS INT64)`
    case 'JSON':
      return `TO_JSON(TO_HEX(${hmac(`CAST(TO_JSON_STRING(${sql}) AS BYTES)`, pads)}))`
    default:
      return `TO_HEX(${hmac(`CAST(${sql} AS BYTES)`, pads)})`
  }
}

/** The kept ends, at most a third of the characters together (the end before the beginning), stars between. */
function partial(
  { keepFirst, keepLast }: { readonly keepFirst: number; readonly keepLast: number },
  sql: string,
): string {
  const length = `CHAR_LENGTH(${sql})`
  const third = `DIV(${length}, 3)`
  const last = `LEAST(${keepLast}, ${third})`
  if (keepFirst === 0 && keepLast === 0) return `REPEAT('*', ${length})`
  if (keepFirst === 0) return `CONCAT(REPEAT('*', ${length} - ${last}), SUBSTR(${sql}, ${length} - ${last} + 1))`
  if (keepLast === 0) {
    const first = `LEAST(${keepFirst}, ${third})`
    return `CONCAT(SUBSTR(${sql}, 1, ${first}), REPEAT('*', ${length} - ${first}))`
  }
  const first = `LEAST(${keepFirst}, ${third} - ${last})`
  const end = `SUBSTR(${sql}, ${length} - ${last} + 1)`
  return `CONCAT(SUBSTR(${sql}, 1, ${first}), REPEAT('*', ${length} - ${first} - ${last}), ${end})`
}

/** Towards zero to a multiple of `step`. */
function stepped(step: number, type: SqlType, sql: string): string {
  if (type.kind === 'FLOAT64') return `TRUNC(${sql} / ${step}) * ${step}`
  const divisor = type.kind === 'INT64' ? String(step) : `CAST(${step} AS ${type.kind})`
  return `${sql} - MOD(${sql}, ${divisor})`
}

/** All paths in one JSON_SET, each from the value as it was. A missing path stays missing, a JSON null stays null. */
function maskedJson(sql: string, paths: ReadonlyMap<string, Mask>, scope: Scope): string {
  const all = [...paths.keys()].sort()
  // A value replaced as a whole has nothing below it.
  const top = all.filter((path) => !all.some((other) => other !== path && isBelow(path, other)))
  const pairs = top.flatMap((path) => {
    const mask = paths.get(path)
    return mask === undefined ? [] : [`'${jsonPath(path)}', ${maskedAt(mask, sql, jsonPath(path), scope)}`]
  })
  return `JSON_SET(${sql}, ${pairs.join(', ')}, create_if_missing => FALSE)`
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(`${parent}.`) || path.startsWith(`${parent}[`)
}

/** As BigQuery writes it: a member with a dash is quoted. */
function jsonPath(path: string): string {
  return path.replaceAll(/\.([^.[\]]*-[^.[\]]*)/g, '."$1"')
}

function maskedAt(mask: Mask, sql: string, path: string, scope: Scope): string {
  const whole = `TO_JSON_STRING(JSON_QUERY(${sql}, '${path}'))`
  const text = `JSON_VALUE(${sql}, '${path}')`
  const present = (expression: string): string => `IF(${whole} = 'null', NULL, ${expression})`
  switch (mask.strategy) {
    case 'redact':
      return present("'[redacted]'")
    case 'hash':
      // A string hashes as the same string in a STRING column does, so that the two can be joined.
      return present(`TO_HEX(${hmac(`CAST(COALESCE(${text}, ${whole}) AS BYTES)`, scope.pads(mask.key))})`)
    case 'partial':
      return present(`IF(${text} IS NULL, '[redacted]', ${partial(mask, text)})`)
    default:
      return 'CAST(NULL AS STRING)'
  }
}

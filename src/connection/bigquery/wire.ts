/** Query parameters as the REST API takes them. */
import type { Parameter, ParameterValue, SqlType } from '../../exchange.ts'

/** `QueryParameterType` */
export interface WireType {
  readonly type: string
  readonly arrayType?: WireType
  readonly rangeElementType?: WireType
  readonly structTypes?: readonly { readonly name?: string; readonly type: WireType }[]
}

/** `QueryParameterValue`; with no member at all it is NULL. */
export interface WireValue {
  readonly value?: string
  readonly arrayValues?: readonly WireValue[]
  readonly structValues?: Readonly<Record<string, WireValue>>
  readonly rangeValue?: { readonly start?: WireValue; readonly end?: WireValue }
}

/** `QueryParameter` */
export interface WireParameter {
  readonly name?: string
  readonly parameterType: WireType
  readonly parameterValue: WireValue
}

/** The members of a job's configuration that carry `parameters`; none where there are none. */
export function toWire(parameters: readonly Parameter[]): {
  readonly parameterMode?: 'NAMED' | 'POSITIONAL'
  readonly queryParameters?: readonly WireParameter[]
} {
  if (parameters.length === 0) return {}
  return {
    parameterMode: parameters.every((parameter) => parameter.name !== undefined) ? 'NAMED' : 'POSITIONAL',
    queryParameters: parameters.map(({ name, type, value }) => ({
      ...(name === undefined ? {} : { name }),
      parameterType: wireType(type),
      parameterValue: wireValue(type, value),
    })),
  }
}

function wireType(type: SqlType): WireType {
  switch (type.kind) {
    case 'ARRAY':
      return { type: 'ARRAY', arrayType: wireType(type.of) }
    case 'RANGE':
      return { type: 'RANGE', rangeElementType: wireType(type.of) }
    case 'STRUCT':
      return {
        type: 'STRUCT',
        structTypes: type.fields.map((field) => ({
          ...(field.name === '' ? {} : { name: field.name }),
          type: wireType(field.type),
        })),
      }
    default:
      return { type: type.kind }
  }
}

function wireValue(type: SqlType, value: ParameterValue): WireValue {
  if (value === null) return {}
  if (typeof value === 'string') return type.kind === 'RANGE' ? rangeValue(value) : { value }
  if (type.kind === 'ARRAY') return { arrayValues: value.map((element) => wireValue(type.of, element)) }
  if (type.kind !== 'STRUCT') throw new Error('a scalar parameter holds a list')
  return {
    structValues: Object.fromEntries(
      type.fields.map((field, index) => [field.name, wireValue(field.type, value[index] ?? null)]),
    ),
  }
}

/** `[a, b)` with `UNBOUNDED` for an open end. */
function rangeValue(text: string): WireValue {
  const parts = /^\[([^,]+), ([^,]+)\)$/.exec(text)
  if (parts === null) throw new Error('a range parameter is not in its wire text')
  const [, start = '', end = ''] = parts
  return {
    rangeValue: {
      ...(start === 'UNBOUNDED' ? {} : { start: { value: start } }),
      ...(end === 'UNBOUNDED' ? {} : { end: { value: end } }),
    },
  }
}

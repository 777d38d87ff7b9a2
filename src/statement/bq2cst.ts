/**
 * Loads `bq2cst` from a compiled module, without the npm glue, which reads a file: Node and workerd share this. What stands
 * here is what wasm-bindgen's output for bq2cst 1.0.5 asks of its host.
 */

export interface CstNode {
  readonly node_type: string
  readonly token: { readonly line: number; readonly column: number; readonly literal: string } | null
  readonly children: Readonly<Record<string, { readonly Node?: CstNode; readonly NodeVec?: readonly CstNode[] }>>
}

interface Exports {
  readonly memory: WebAssembly.Memory
  readonly __wbindgen_export_3: WebAssembly.Table
  __wbindgen_malloc(size: number, align: number): number
  __wbindgen_free(pointer: number, size: number, align: number): void
  __externref_table_dealloc(index: number): void
  __wbindgen_start(): void
  parse(pointer: number, length: number): [result: number, error: number, failed: number]
}

/** Memory beyond which an instance is replaced: what one statement grew, the next need not carry. */
const MEMORY = 64 * 1024 * 1024

export class Bq2cst {
  readonly #module: WebAssembly.Module
  #instance: Exports | undefined

  constructor(module: WebAssembly.Module) {
    this.#module = module
  }

  /** `undefined` where the parser refuses or traps. A trapped instance is never used again. */
  parse(text: string): readonly CstNode[] | undefined {
    const wasm = (this.#instance ??= instantiate(this.#module))
    try {
      const { pointer, length } = writeText(wasm, text)
      const [result, error, failed] = wasm.parse(pointer, length)
      const value: unknown = wasm.__wbindgen_export_3.get(failed === 0 ? result : error)
      wasm.__externref_table_dealloc(failed === 0 ? result : error)
      if (failed !== 0 || wasm.memory.buffer.byteLength > MEMORY) this.#instance = undefined
      return failed === 0 && Array.isArray(value) ? (value as CstNode[]) : undefined
    } catch {
      this.#instance = undefined
      return undefined
    }
  }
}

function writeText(wasm: Exports, text: string): { pointer: number; length: number } {
  const bytes = new TextEncoder().encode(text)
  const pointer = wasm.__wbindgen_malloc(bytes.length, 1) >>> 0
  new Uint8Array(wasm.memory.buffer).set(bytes, pointer)
  return { pointer, length: bytes.length }
}

/** Longest text that is remembered, and how many are, at most. */
const REMEMBERED = { bytes: 32, slots: 4096 } as const

/**
 * Reads texts from the module's memory. A tree is thousands of short ones, most of them the same few words, and a decoder
 * costs more to call than they take to compare: what was read once at a hash is not decoded again.
 */
class Texts {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
  readonly #known: (string | undefined)[] = Array.from({ length: REMEMBERED.slots })
  #memory = new Uint8Array()

  read(buffer: ArrayBuffer, start: number, length: number): string {
    if (this.#memory.buffer !== buffer) this.#memory = new Uint8Array(buffer)
    const memory = this.#memory
    const end = start + length
    if (length > REMEMBERED.bytes || end > memory.length) return this.#decoder.decode(memory.subarray(start, end))
    let hash = 0x811c9dc5
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (memory[i] ?? 0), 0x01000193)
    const slot = (hash >>> 0) % REMEMBERED.slots
    const known = this.#known[slot]
    if (known !== undefined && isAt(memory, start, length, known)) return known
    return (this.#known[slot] = this.#decoder.decode(memory.subarray(start, end)))
  }
}

/** Whether `text` is what stands there. Only for ASCII: of anything else, bytes and characters differ. */
function isAt(memory: Uint8Array, start: number, length: number, text: string): boolean {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) {
    const byte = memory[start + i] ?? 0x80
    if (byte >= 0x80 || text.charCodeAt(i) !== byte) return false
  }
  return true
}

function instantiate(module: WebAssembly.Module): Exports {
  const texts = new Texts()
  let wasm: Exports | undefined
  const exports = (): Exports => {
    if (wasm === undefined) throw new Error('bq2cst called its host too early')
    return wasm
  }
  const textAt = (pointer: number, length: number): string => texts.read(exports().memory.buffer, pointer >>> 0, length)
  const giveText = (at: number, text: string): void => {
    const { pointer, length } = writeText(exports(), text)
    const view = new DataView(exports().memory.buffer)
    view.setInt32(at + 4, length, true)
    view.setInt32(at, pointer, true)
  }
  const host = {
    __wbg_error_7534b8e9a36f1ab4: (at: number, length: number) => exports().__wbindgen_free(at, length, 1),
    __wbg_new_254fa9eac11932ae: () => [],
    __wbg_new_688846f374351c92: () => ({}),
    __wbg_new_8a6f238a6ece86ea: () => new Error(),
    __wbg_new_bc96c6a1c0786643: () => new Map(),
    __wbg_set_1d80752d0d5f0b21: (list: unknown[], i: number, value: unknown) => void (list[i >>> 0] = value),
    __wbg_set_3f1d0b984ed272ed: (object: Record<string, unknown>, key: string, value: unknown) =>
      void (object[key] = value),
    __wbg_set_76818dc3c59a63d5: (map: Map<unknown, unknown>, key: unknown, value: unknown) => map.set(key, value),
    __wbg_stack_0ed75d68575b0f3c: (at: number) => giveText(at, ''),
    __wbindgen_as_number: (value: unknown) => Number(value),
    __wbindgen_bigint_from_u64: (value: bigint) => BigInt.asUintN(64, value),
    __wbindgen_debug_string: (at: number) => giveText(at, ''),
    __wbindgen_error_new: (at: number, length: number) => new Error(textAt(at, length)),
    __wbindgen_init_externref_table: () => {
      const table = exports().__wbindgen_export_3
      const offset = table.grow(4)
      const constants = [undefined, null, true, false]
      table.set(0, undefined)
      constants.forEach((value, i) => table.set(offset + i, value))
    },
    __wbindgen_is_string: (value: unknown) => typeof value === 'string',
    __wbindgen_number_new: (value: number) => value,
    __wbindgen_string_new: (at: number, length: number) => textAt(at, length),
    __wbindgen_throw: (at: number, length: number) => {
      throw new Error(textAt(at, length))
    },
  }
  const instance = new WebAssembly.Instance(module, { __wbindgen_placeholder__: host })
  // The module's exports have no types of their own; bq2cst 1.0.5's glue calls them so.
  wasm = instance.exports as unknown as Exports
  wasm.__wbindgen_start()
  return wasm
}

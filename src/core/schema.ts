/** A schema of any library that speaks Standard Schema v1, such as zod, valibot or arktype. */
export interface Schema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    readonly jsonSchema?: { input(options: { readonly target: 'draft-2020-12' }): unknown } | undefined
  }
}

export type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** What a schema makes of a value it accepts; unknown where there is no schema. */
export type OutputOf<Given> = Given extends Schema<infer _Input, infer Output> ? Output : unknown

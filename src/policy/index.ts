/** Policies: documents in, decisions out. */
export { isClean, runCases, type CaseFailure, type CaseReport } from './cases.ts'
export type { Explained } from './decide.ts'
export { isCasesFile, loadPolicies, type LoadedPolicies, type PolicyDefaults, type SourceFile } from './load.ts'
export { isProblems, renderProblem, type Problem, type Problems } from './problem.ts'
export { inspectedOf, weighedOf, type NotRecalled, type Recalled, type Recorded } from './recall.ts'
export type { FactType, FactTypes, PluginVocabulary, Vocabulary } from './vocabulary.ts'

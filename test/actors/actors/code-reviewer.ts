export { default } from '../../../actors/code-reviewer.ts'

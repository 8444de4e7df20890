export { default } from '../../../actors/schema-architect.ts'

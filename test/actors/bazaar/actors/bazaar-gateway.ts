export { default } from '../../../../actors/bazaar-gateway.ts'

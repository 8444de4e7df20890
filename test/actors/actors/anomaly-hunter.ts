export { default } from '../../../actors/anomaly-hunter.ts'

export default class Scanner {}

export default { messages: { scan: { type: 'object' }, ping: true }, recieve: {}, receive: { scan: 'soon' }, sql: 'all', persist: 1 }

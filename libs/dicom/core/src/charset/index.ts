export { ASCII, charsetOf, UTF8, type Charset, type CharsetWarning } from './charset';

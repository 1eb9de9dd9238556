export { verify as run } from './credentials.ts';

export { issue as run } from './credentials.ts';

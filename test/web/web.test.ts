import './screens/connections.ts';
import './screens/others.ts';
import './screens/newcomer.ts';

import './screens/connections.ts';
import './screens/others.ts';
import './screens/newcomer.ts';
import './screens/batches.ts';
import './screens/operator.ts';
import './screens/pictures.ts';

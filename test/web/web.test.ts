// the newcomer's agents are new: nobody is connected yet
import './screens/newcomer.ts';
import './screens/connections.ts';
import './screens/others.ts';
import './screens/batches.ts';
import './screens/operator.ts';
import './screens/aria.ts';
import './screens/pictures.ts';

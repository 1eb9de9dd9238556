import { CONNECTION, table } from '../../test/support/steps.ts';

const MENU = { title: 'Menu', options: [{ name: 'a', title: 'First' }] };
const RAW = { '@type': 'https://didcomm.org/action-menu/1.0/menu', '@id': 'message-1', ...MENU };
const LOADS = { menu: { category: 'action-menu', id: 'c1' } };
const KEPT = {
  category: 'action-menu',
  id: 'c1',
  connection: 'c1',
  state: 'active',
  value: { connection_id: 'c1', menu: { title: 'Old' } },
};
const menuEvent = (menu: unknown) => [{ topic: 'actionmenu', payload: { connection_id: 'c1', menu } }];
const invited = { ...CONNECTION, state: 'invitation' };

table('action-menu', [
  {
    title: 'is kept for its connection',
    message: 'menu',
    body: MENU,
    loads: LOADS,
    effects: {
      others: [{ def: 'action-menu', id: 'c1', connection: 'c1', states: ['active'], patch: { connection_id: 'c1', menu: RAW } }],
      emit: menuEvent(RAW),
    },
  },
  {
    title: 'takes the place of the one before',
    message: 'menu',
    body: MENU,
    loaded: { menu: KEPT },
    effects: {
      others: [
        { def: 'action-menu', base: 'c1', id: 'c1', connection: 'c1', states: ['active'], patch: { connection_id: 'c1', menu: RAW } },
      ],
      emit: menuEvent(RAW),
    },
  },
  { title: 'without options', message: 'menu', body: { title: 'Menu' }, error: 'message-invalid' },
  {
    title: 'is the controller to answer',
    message: 'menu-request',
    effects: { emit: [{ topic: 'get-active-menu', payload: { connection_id: 'c1', thread_id: 'message-1' } }] },
  },
  {
    title: 'notifies the controller of the action and its thread',
    message: 'perform',
    thid: 'thread-1',
    body: { name: 'a', params: { x: '1' } },
    effects: {
      emit: [
        {
          topic: 'perform-menu-action',
          payload: { connection_id: 'c1', thread_id: 'thread-1', action_name: 'a', action_params: { x: '1' } },
        },
      ],
    },
  },
  {
    title: 'has no parameters where none are given',
    message: 'perform',
    body: { name: 'a' },
    effects: {
      emit: [
        { topic: 'perform-menu-action', payload: { connection_id: 'c1', thread_id: 'message-1', action_name: 'a', action_params: {} } },
      ],
    },
  },
  { title: 'without the name of an action', message: 'perform', body: { name: '' }, error: 'message-invalid' },
  {
    title: 'removes the menu of the connection',
    command: 'close',
    loaded: { menu: KEPT },
    effects: { others: [{ def: 'action-menu', base: 'c1', remove: true }], emit: menuEvent(null), answer: {} },
  },
  { title: 'without a menu', command: 'close', error: 'not-found', text: /No action menu found for connection ID c1/ },
  { title: 'answers the menu', command: 'fetch', loads: LOADS, loaded: { menu: KEPT }, effects: { answer: { result: { title: 'Old' } } } },
  { title: 'answers null without a menu', command: 'fetch', effects: { answer: { result: null } } },
  {
    title: 'sends the action',
    command: 'POST /action-menu/{conn_id}/perform',
    body: { name: 'a' },
    effects: { send: [{ type: 'perform', body: { name: 'a', params: {} } }], answer: {} },
  },
  { title: 'needs a connection that can be written to', command: 'perform', body: { name: 'a' }, connection: invited, error: 'forbidden' },
  { title: 'asks for the menu', command: 'request', effects: { send: [{ type: 'menu-request', body: {} }], answer: {} } },
  { title: 'needs a connection that can be written to', command: 'request', connection: invited, error: 'forbidden' },
  { title: 'sends the menu', command: 'send-menu', body: { menu: MENU }, effects: { send: [{ type: 'menu', body: MENU }], answer: {} } },
  { title: 'of what is no menu', command: 'send-menu', body: { menu: { title: 'Menu' } }, error: 'unprocessable' },
]);

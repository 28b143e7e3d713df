import type { GroupCommand } from '../command';
import { echo } from './echo';
import { find } from './find';
import { send } from './send';

/** Every command of the tool. A new noun is a file beside this one and a line here. */
export const commands: GroupCommand = {
  name: 'archipelago',
  summary: 'command-line tool',
  commands: [echo, find, send],
};

import type { GroupCommand } from '../command';
import { actor } from './actor';
import { archive } from './archive';
import { cache } from './cache';
import { catalog } from './catalog';
import { deadLetters } from './dead-letters';
import { difference } from './difference';
import { echo } from './echo';
import { find } from './find';
import { identity } from './identity';
import { quarantine } from './quarantine';
import { route } from './route';
import { rules } from './rules';
import { send } from './send';
import { sweep } from './sweep';

/** Every command of the tool. A new noun is a file beside this one and a line here. */
export const commands: GroupCommand = {
  name: 'archipelago',
  summary: 'command-line tool',
  commands: [
    echo,
    find,
    send,
    archive,
    deadLetters,
    sweep,
    quarantine,
    difference,
    catalog,
    identity,
    actor,
    rules,
    route,
    cache,
  ],
};

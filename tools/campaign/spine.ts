import type { Campaign } from './campaign';
import { conflict } from './conflict';
import { diskFull } from './disk-full';
import { fsyncFails, fsyncOrder } from './fsync-order';
import { harvest } from './harvest';
import { heal } from './heal';
import { natsWiped } from './nats-wiped';
import { neverLost } from './never-lost';
import { outages } from './outages';

/** Campaigns that show that nothing acknowledged is lost. */
export const SPINE: Campaign[] = [
  fsyncOrder,
  fsyncFails,
  neverLost,
  natsWiped,
  conflict,
  heal,
  outages,
  diskFull,
  harvest,
];

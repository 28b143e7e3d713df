import type { Campaign } from './campaign';
import { conflict } from './conflict';
import { heal } from './heal';
import { natsWiped } from './nats-wiped';
import { neverLost } from './never-lost';

/** Campaigns that show that nothing acknowledged is lost. */
export const SPINE: Campaign[] = [neverLost, natsWiped, conflict, heal];

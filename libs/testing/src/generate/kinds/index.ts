import type { KindBuilder } from '../context';
import { buildCt } from './ct';
import { buildEcg, buildGsps, buildKos, buildPdf, buildSrBasic, buildSrComprehensive } from './documents';
import { buildEnhancedCt, buildEnhancedMr, buildSeg, buildWsi } from './enhanced';
import { IMAGE_KINDS } from './images';
import { buildColorPalette, buildHangingProtocol } from './non-patient';
import { buildRtDose, buildRtPlan, buildRtStruct } from './rt';

/** Every kind of object that the generator writes. */
export const KINDS: Record<string, KindBuilder | undefined> = {
  ct: buildCt,
  ...IMAGE_KINDS,
  'enhanced-ct': buildEnhancedCt,
  'enhanced-mr': buildEnhancedMr,
  wsi: buildWsi,
  seg: buildSeg,
  rtdose: buildRtDose,
  rtstruct: buildRtStruct,
  rtplan: buildRtPlan,
  'sr-basic': buildSrBasic,
  'sr-comprehensive': buildSrComprehensive,
  kos: buildKos,
  gsps: buildGsps,
  pdf: buildPdf,
  ecg: buildEcg,
  'hanging-protocol': buildHangingProtocol,
  'color-palette': buildColorPalette,
};

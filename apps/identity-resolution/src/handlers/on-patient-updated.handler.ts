import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { PatientUpdated, type PatientUpdatedV1 } from '@archipelago/contracts';
import { BusContext, OnEvent } from '@archipelago/platform-bus';
import { PATIENT_CONSUMER, ResolutionService } from '../resolution.service';

@Controller()
export class OnPatientUpdatedHandler {
  constructor(private readonly resolution: ResolutionService) {}

  @OnEvent(PatientUpdated, { consumer: PATIENT_CONSUMER, concurrency: 2 })
  async handle(@Payload() { patientId }: PatientUpdatedV1, @Ctx() context: BusContext): Promise<void> {
    await this.resolution.updated(patientId, { eventId: context.meta.id, trace: context.meta.trace });
  }
}

import { expect, test } from 'vitest';
import { checkSettings } from '../../../stage1/nspawn/controllers.ts';

test('a limit whose controller the pod was started without is refused by the name of its isolator', () => {
  const check = () => checkSettings([['MemoryMax', '1']], ['TasksMax']);
  expect(check).toThrow(/cannot enforce the isolator resource\/memory .* the controller memory$/);
});

test('limits that the pod has the controllers for, and settings that need none, pass', () => {
  checkSettings(
    [
      ['TasksMax', '5'],
      ['LimitNOFILE', '100'],
    ],
    ['TasksMax'],
  );
});

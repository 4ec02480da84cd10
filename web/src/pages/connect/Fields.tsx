// The fields of a platform's form, as the API declares them.
import type { Shape } from "@/api/client";
import { Disclosure, Field, SecretInput, TextInput } from "@/parts";

export type Values = Record<string, string>;

interface Props {
  fields: readonly Shape<"FormField">[];
  values: Values;
  errors: Record<string, string>;
  onChange: (values: Values) => void;
}
const FEW = 4;

/** All of them; where many can stay as they are, those stand behind a line that opens. */
export function Fields({ fields, ...rest }: Props) {
  const optional = fields.filter((each) => !each.required);
  if (optional.length <= FEW) return <Plain fields={fields} {...rest} />;
  return (
    <>
      <Plain fields={fields.filter((each) => each.required)} {...rest} />
      <Disclosure label={`More settings (${optional.length}, all can stay as they are)`} open={optional.some((each) => rest.errors[each.name]) || undefined}>
        <div className="grid gap-4 pt-1"><Plain fields={optional} {...rest} /></div>
      </Disclosure>
    </>
  );
}

function Plain({ fields, values, errors, onChange }: Props) {
  return fields.map((each) => {
    const Input = each.secret ? SecretInput : TextInput;
    return (
      <Field key={each.name} label={each.label} help={each.help || undefined} optional={!each.required} error={errors[each.name]}>
        <Input
          name={each.name}
          value={values[each.name] ?? each.default}
          placeholder={each.placeholder || undefined}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          required={each.required}
          onChange={(event) => onChange({ ...values, [each.name]: event.target.value })}
        />
      </Field>
    );
  });
}

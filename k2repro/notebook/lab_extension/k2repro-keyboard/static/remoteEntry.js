// Sliders and buttons of plotly figures, by keyboard.
//
// Plotly draws them as SVG that listens to the mouse alone. This gives each a tab stop, a role and a
// value for screen readers, and turns arrow keys, Home, End, Enter and Space into what the mouse would
// do. It is written by hand in the form that JupyterLab loads, so that nothing has to be compiled.
(() => {
  const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
  const GRIP = 10; // half of plotly's grip, in pixels: the ends of the rail are that far inside

  const mouse = (node, kind, x, y) =>
    node.dispatchEvent(new MouseEvent(kind, { bubbles: true, cancelable: true, view: window, clientX: x, clientY: y }));

  const sliderOf = group => {
    const plot = group.closest('.js-plotly-plot');
    const groups = [...plot.querySelectorAll('.slider-group')];
    return (plot._fullLayout?.sliders || []).filter(s => s.visible !== false)[groups.indexOf(group)];
  };

  const describe = group => {
    const slider = sliderOf(group);
    if (!slider) return;
    const shown = slider.currentvalue || {};
    const label = slider.steps[slider.active]?.label ?? '';
    const values = {
      'aria-label': (shown.prefix || 'state').trim(),
      'aria-valuemin': 0,
      'aria-valuemax': slider.steps.length - 1,
      'aria-valuenow': slider.active,
      'aria-valuetext': `${shown.prefix || ''}${label}${shown.suffix || ''}`
    };
    for (const [name, value] of Object.entries(values)) group.setAttribute(name, value);
  };

  const move = (group, event) => {
    const slider = sliderOf(group);
    const last = slider ? slider.steps.length - 1 : 0;
    const ends = { Home: 0, End: last };
    const wanted = event.key in ends ? ends[event.key] : slider.active + (KEYS[event.key] ?? NaN);
    if (Number.isNaN(wanted)) return;
    event.preventDefault();
    event.stopPropagation();
    const at = Math.min(last, Math.max(0, wanted));
    const box = group.querySelector('.slider-rail-touch-rect').getBoundingClientRect();
    const x = box.left + GRIP + ((box.width - 2 * GRIP) * at) / last;
    const y = box.top + box.height / 2;
    mouse(group.querySelector('.slider-rail-touch-rect'), 'mousedown', x, y);
    mouse(group.closest('.js-plotly-plot'), 'mouseup', x, y);
    requestAnimationFrame(() => describe(group));
  };

  const press = (button, event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    event.stopPropagation();
    const box = button.getBoundingClientRect();
    mouse(button, 'click', box.left + box.width / 2, box.top + box.height / 2);
  };

  const reach = (node, role, onKey) => {
    if (node.getAttribute('role') === role) return;
    node.setAttribute('role', role);
    node.setAttribute('tabindex', '0');
    // Lab moves between cells with the same keys; a focused control keeps them for itself.
    node.addEventListener('keydown', event => onKey(node, event));
    node.addEventListener('focus', () => (node.style.outline = '2px solid #0b57a4'));
    node.addEventListener('blur', () => (node.style.outline = ''));
  };

  const enhance = () => {
    for (const group of document.querySelectorAll('.js-plotly-plot .slider-group')) {
      reach(group, 'slider', move);
      describe(group);
    }
    for (const button of document.querySelectorAll('.js-plotly-plot .updatemenu-button')) {
      reach(button, 'button', press);
      if (!button.hasAttribute('aria-label')) button.setAttribute('aria-label', button.textContent.trim());
    }
  };

  const plugin = {
    id: 'k2repro-keyboard:sliders',
    autoStart: true,
    activate: () => {
      let waiting = false;
      const soon = () => {
        if (waiting) return;
        waiting = true;
        setTimeout(() => {
          waiting = false;
          enhance();
        }, 300);
      };
      new MutationObserver(soon).observe(document.body, { childList: true, subtree: true });
      soon();
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['k2repro-keyboard'] = {
    init: () => undefined,
    get: () => Promise.resolve(() => ({ __esModule: true, default: plugin }))
  };
})();
